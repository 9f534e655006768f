git init -q lib
echo lib >lib/lib.sh
commit lib Lib
git init -q repo
git -C repo -c protocol.file.allow=always submodule --quiet add "file://$PWD/lib" vendor/lib
echo '*.bin filter=lfs diff=lfs merge=lfs -text' >repo/.gitattributes
printf 'version https://git-lfs.github.com/spec/v1\noid sha256:967609522a3a0f4c5acf31218836c053d27309f6cfe1f05d6a1a821fbe882143\nsize 18151\n' >repo/logo.bin
commit repo App
