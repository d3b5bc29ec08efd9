"""The command ``pt5-uploader``, for the bins of an Imaging FlowCytobot."""
