# Mastra: @mastra/mcp, and an agent of @mastra/core with the scripted model.
. "$here/support/agents.sh"
run() { agent_in_javascript mastra "$1"; }
