# An approver sees what CustomData and ExternalEntityLink say.
apply || fault "no apply"
headrace run ask
await 'approve with' headrace explain ask
headrace explain ask | tee explain.txt
headrace execution show ask | tee show.txt
headrace explain ask -o json >explain.json
for shown in explain.txt show.txt; do
  grep -q 'Check the graphs of main first' $shown || fault "CustomData is not in $shown"
  grep -q 'graphs.example.com' $shown || fault "ExternalEntityLink is not in $shown"
done
grep -q 'Check the graphs of main first' explain.json || fault "CustomData is not in explain -o json"
