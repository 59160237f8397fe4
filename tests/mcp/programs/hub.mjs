// Where the hub is, as ../programs.py tells: TASKHUB_MCP_URL and TASKHUB_TOKEN, or a command in TASKHUB_MCP_COMMAND (JSON)
// that speaks for it over stdio.
const { TASKHUB_MCP_URL, TASKHUB_TOKEN, TASKHUB_MCP_COMMAND } = process.env;

export const url = TASKHUB_MCP_URL && new URL(TASKHUB_MCP_URL);
export const headers = TASKHUB_TOKEN ? { Authorization: `Bearer ${TASKHUB_TOKEN}` } : {};
const [command, ...args] = TASKHUB_MCP_COMMAND ? JSON.parse(TASKHUB_MCP_COMMAND) : [];
// Clients hand on only what they know of the environment.
export const stdio = command && { command, args, env: TASKHUB_TOKEN ? { TASKHUB_TOKEN } : {} };
