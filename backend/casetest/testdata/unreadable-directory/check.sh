# A directory that cannot be read and that no pattern names does not fail the artifact.
apply
run closed || fault "a directory that no pattern names fails the artifact"
! grep -q SystemUnavailable run.log || fault "the runner is blamed for a file that the commands left"
