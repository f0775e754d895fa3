# Vercel AI SDK: @ai-sdk/mcp, and generateText with the scripted model.
. "$here/support/agents.sh"
run() { agent_in_javascript aisdk "$1"; }
