# Pydantic AI with the scripted model.
. "$here/support/agents.sh"
run() { agent_in_python pydantic-ai pydantic_ai_agent.py "$1"; }
