# A source says which submodules and which Git LFS objects it did not fetch.
apply
run sub || fault "the execution failed"
headrace execution show sub >show.txt
headrace logs sub Get >get.txt
cat show.txt get.txt
for told in show.txt get.txt; do
  grep -q '1 submodule was not fetched: "vendor/lib"' "$told" || fault "vendor/lib is empty, and $told does not say so"
  grep -q '1 file is a Git LFS pointer without the content: "logo.bin"' "$told" || fault "logo.bin is a pointer, and $told does not say so"
done
