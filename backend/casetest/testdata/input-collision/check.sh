# The variables of the inputs web-app and web_app would have one name.
if apply; then
  fault "the inputs web-app and web_app share HEADRACE_INPUT_WEB_APP, and the plan was accepted"
fi
grep -q 'HEADRACE_INPUT_WEB_APP' apply.log || fault "the error does not name the variable"
