"""The commands: thin doors that build a configuration and run the same Snakefile.

A door runs the Snakefile twice with one ``start`` token: target ``plan``, to show what would be
done and to ask, then the default target. The second run takes the inventory of the first for
granted, so exactly what was confirmed is moved.
"""
