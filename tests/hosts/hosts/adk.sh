# Google ADK with the scripted model. Its OAuth is in its web page, so TOKEN is sent in a header.
. "$here/support/agents.sh"
run() { agent_in_python adk adk_agent.py "$1"; }
