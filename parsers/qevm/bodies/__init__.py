"""One module for each body format, behind one protocol (``protocol``, ``registry``)."""
