# Two inputs that share a variable are refused, by both names.
if apply; then
  fault "the inputs web-app and web_app share HEADRACE_INPUT_WEB_APP, and the plan said nothing"
fi
tr '\n' ' ' <apply.log | tr -s ' ' >words
grep -qF 'Stage "Deploy", action "Ship", input artifact 3: input artifacts "web-app" and "web_app" share' words || fault "the refusal does not say where and what"
