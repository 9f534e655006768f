# The repository is on the server of the test.
