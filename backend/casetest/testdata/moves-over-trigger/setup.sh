# The repository is on the server of the test, and pushes reach it by its path.
git clone -q "$REPOSITORY" web
