# An action fails that would hand on a link to nothing, and says that it is a link.
apply
! run link || fault "the artifact holds nothing but a link to a directory that is gone"
grep -q 'store artifact "app": .*"result" is a symbolic link to ".*/out/bin/server", which is not in the artifact' run.log ||
  fault "the message does not say that result is a link"
! run through || fault "the artifact holds files of another directory"
grep -q 'no file matches "bazel-bin/server": "bazel-bin" is a symbolic link, which is not followed' run.log ||
  fault "the message does not say that bazel-bin is a link that is not followed"
