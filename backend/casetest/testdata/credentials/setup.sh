# The repositories are on the servers of the test. Git asks nobody: the address has what it needs.
git clone -q "$GITEA_CLONE" source
