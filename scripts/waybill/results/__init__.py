"""The files under results/{transfer}: their places, formats, readers and writers."""
