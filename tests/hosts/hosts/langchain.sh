# LangChain: langchain-mcp-adapters, and a LangGraph agent with the scripted model.
. "$here/support/agents.sh"
run() { agent_in_python langchain langchain_agent.py "$1"; }
