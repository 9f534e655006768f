git init -q repo
mkdir locks
cat >repo/tool.sh <<'T'
# Stands for terraform apply: it holds a lock while it changes things.
trap 'echo releasing the lock; rm -f "$LOCK"; exit 1' TERM
touch "$LOCK"
echo locked
while :; do sleep 0.1; done
T
commit repo Tool
