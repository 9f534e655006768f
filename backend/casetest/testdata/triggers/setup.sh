# The repository is on the server of the test.
git clone -q "$REPOSITORY" source
