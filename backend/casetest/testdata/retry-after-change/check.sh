# A retry of an older version is refused with the reason, and explain does not offer it.
apply || fault "no apply"
run again && fault "the execution succeeded"
apply -var text=after || fault "no apply of the change"
headrace explain again | tee explain.txt
headrace execution retry again 2>&1 | tee retry.txt
headrace execution retry 'again#1' 2>&1 | tee retry1.txt
for refused in retry.txt retry1.txt; do
  grep -qE 'definition|version' $refused || fault "the refusal in $refused has no reason"
done
! grep -q 'execution retry' explain.txt || fault "explain offers a retry that is refused"
