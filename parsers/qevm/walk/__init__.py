"""The walk: from a Source to Sections, in stream order, one at a time (stream-format §12.1).

``walker`` runs the loop, ``state`` is what all parts of it share, ``chunks`` reads START, PART and END,
``full`` the device sections, ``headers`` says what can begin where, ``recovery`` finds the way again.
"""
