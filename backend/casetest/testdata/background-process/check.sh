# A process in the background is ended with its action, and the user learns of that.
apply
run daemon || fault "the execution failed"
headrace logs daemon Start | tee log.txt
if pgrep -f 'sleep 7[1]'; then fault "it still runs"; fi
grep -q 'ended 1 background process: ' log.txt || fault "the log does not name the process"
headrace execution show daemon | grep -q 'ended 1 background process: ' || fault "the summary does not name the process"
