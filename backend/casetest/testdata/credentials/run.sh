# Uses every kind of credential, rightly and wrongly. The test reads every file that this leaves, and
# everything that the server has.
export TF_LOG=TRACE TF_LOG_PATH=trace.log
terraform plan -input=false -no-color -out plan.bin >plan.log 2>&1
terraform show -json plan.bin >plan.json
terraform apply -input=false -no-color plan.bin >apply.log 2>&1
terraform plan -input=false -no-color -detailed-exitcode >second.log 2>&1 || fault "the second plan is not empty"
unset TF_LOG TF_LOG_PATH
terraform state pull >state.json

# The server registers the hook, and Gitea delivers a push.
await 'owner/web .* none' headrace webhook show gitea
headrace webhook show gitea >webhook.log
headrace trigger backfill web >backfill.log
mkdir -p source/web
echo first >source/web/page
commit source "Ship the page"
git -C source push -q origin HEAD:main
await 'Succeeded' headrace execution list web
await ' push ' headrace trigger deliveries gitea --status accepted
headrace trigger deliveries gitea >deliveries.log
headrace logs 'web#1' Build/Show >show.log
headrace execution watch 'web#1' -o json >events.log 2>&1 || true
headrace explain web >explain.log 2>&1
headrace trigger explain web --ref main >trigger.log

# A change over SSH is found by a comparison, which compares files.
(cd library && mkdir -p lib && echo new >lib/new && git add . && git commit -q -m "Change the library" && git push -q origin HEAD:main)
headrace trigger backfill web >>backfill.log
await 'lib  *started' headrace trigger show lib

# Events with the bearer token, and with another one.
url=$(headrace webhook show events -o json | sed -n 's/.*"url": "\(.*\)".*/\1/p')
curl -s -o event.log -w '%{http_code}\n' --config event.curl "$url" | grep -q 202 || fault "no event was taken"
curl -s -o refused.log -w '%{http_code}\n' -H 'Authorization: Bearer wrong' -d '{"n":2}' "$url" | grep -q 401 || fault "a wrong token was taken"
headrace trigger deliveries events >>deliveries.log

# Errors of everything that has a credential.
headrace connection doctor gitea --repository owner/web >doctor.log 2>&1 || fault "the connection does not work"
headrace connection doctor gitea --repository owner/none >>doctor.log 2>&1 && fault "a repository that does not exist is right"
headrace connection doctor ssh --repository "$TF_VAR_ssh_repository" >>doctor.log 2>&1 || fault "the connection by key does not work"
headrace connection doctor ssh --repository none >>doctor.log 2>&1 && fault "a repository that does not exist over SSH is right"
headrace run old -f >old.log 2>&1 && fault "GitHub was reached"
headrace pipeline show old >>old.log 2>&1
headrace pipeline export old >>old.log 2>&1 || true
headrace trigger pause web --reason "the test ends"
