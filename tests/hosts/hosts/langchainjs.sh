# LangChain in JavaScript: @langchain/mcp-adapters and a LangGraph agent with the scripted model. TOKEN is sent in a header.
. "$here/support/agents.sh"
run() { agent_in_javascript langchainjs "$1"; }
