# OpenAI Agents SDK for JavaScript, with the scripted model. TOKEN is sent in a header.
. "$here/support/agents.sh"
run() { agent_in_javascript openai-agents-js "$1"; }
