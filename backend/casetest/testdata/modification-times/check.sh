# A deployment finds what the build made as new as the build left it, so make does not build again.
apply
run mtime || fault "the deployment compiled again what the build had made"
headrace logs mtime >logs.txt
cat logs.txt
[ "$(grep -c COMPILING logs.txt)" = 1 ] || fault "compiled $(grep -c COMPILING logs.txt) times"
grep -q INSTALLED logs.txt || fault "nothing was installed"
