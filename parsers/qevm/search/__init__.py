"""Searching a capture: bytes, fields and devices; forward and backward, in short steps that can be left.

query = read_query("7e ?? ?? 00 2a")
search = Search(capture, query)
for step in search.steps(Origin(cursor)):
    ...                                   # step.reached for progress, step.match when something was found

``query`` reads what a user types, ``patterns`` finds bytes in a chunk, ``bytescan`` goes through a source
chunk by chunk, ``regex`` lets another process match expressions, ``fieldscan`` looks at decoded fields and
device ids, ``pages`` knows where the contents of guest pages are.
"""

from qevm.search.engine import Scope, Search
from qevm.search.query import Kind, Query, QueryError, read_query
from qevm.search.result import Match, Origin, Step

__all__ = ["Kind", "Match", "Origin", "Query", "QueryError", "Scope", "Search", "Step", "read_query"]
