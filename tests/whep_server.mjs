// A WHEP server in front of Janus, for tests: node whep_server.mjs JANUS_URL PORT ENDPOINTS_JSON
import { JanusWhepServer } from "janus-whep-server";

const [janus, port, endpoints] = process.argv.slice(2);
const server = new JanusWhepServer({
  janus: { address: janus },
  rest: { port: Number(port), basePath: "/whep" },
});
await server.start();
for (const endpoint of JSON.parse(endpoints)) server.createEndpoint(endpoint);
console.log("listening");
