# The server that never answers is not of this case.
