# An entry that is null is left out, so that Branch and Tag can depend on a variable.
apply || fault "no apply with the branch"
plan -detailed-exitcode || fault "a second plan is not empty"
apply -var tag=v1 || fault "no apply with the tag"
