# An approval with the run order of the deployment does not guard it; the plan warns.
apply || fault "no apply"
headrace run gate
await '^DEPLOYED' headrace logs gate Deploy
grep -q '^Warning: .*[Aa]pproval' apply.log || fault "deployed without an approval, and the plan did not warn"
