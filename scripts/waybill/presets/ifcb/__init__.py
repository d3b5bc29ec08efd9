"""What is known about the data of an Imaging FlowCytobot (IFCB)."""
