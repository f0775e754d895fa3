# OpenAI Agents SDK with the scripted model, and the schemas of all tools made strict.
. "$here/support/agents.sh"
run() { agent_in_python openai-agents openai_agents_agent.py "$1"; }
