# A server that accepts and sends nothing fails the fetch after a minute, and the message says so.
apply -var silent="$SILENT"
! timeout 150 headrace run hang -f >run.log 2>&1 || fault "the fetch succeeded"
cat run.log
grep -q 'git made no progress for 1m0s: the server sent nothing' run.log || fault "the fetch does not fail with its cause"
