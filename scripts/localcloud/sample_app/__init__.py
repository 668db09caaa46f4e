"""The sample application that the hosts of the local cloud run; its image is built from this folder."""
