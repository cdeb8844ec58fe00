// Joins over WHIP (RFC 9725) without trickle, and shows what the monitor says about this person.
// For tests: ?call=a&name=b&ec=0&ns=0&autostart=1, and #token=t.

const GATHERING_TIMEOUT_MS = 3000;
const RETRY_EVENTS_MS = 2000;

const field = (id) => document.getElementById(id);
const show = (id, text) => { field(id).textContent = text; };

let current = null; // { peer, stream, resource, events }

function authorized(headers = {}) {
  const token = field("token").value;
  return token ? { ...headers, Authorization: `Bearer ${token}` } : headers;
}

async function checked(response) {
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({}));
  throw new Error(problem.detail || `The monitor answered ${response.status}.`);
}

function gathered(peer) {
  return new Promise((resolve) => {
    if (peer.iceGatheringState === "complete") { resolve(); return; }
    setTimeout(resolve, GATHERING_TIMEOUT_MS);
    peer.addEventListener("icegatheringstatechange", () => {
      if (peer.iceGatheringState === "complete") resolve();
    });
  });
}

async function openDevices() {
  if (!navigator.mediaDevices) {
    throw new Error("Browsers give camera and microphone to https and to this machine only.");
  }
  return navigator.mediaDevices.getUserMedia({
    audio: {
      echoCancellation: field("ec").checked,
      noiseSuppression: field("ns").checked,
      autoGainControl: field("ns").checked, // level and noise are processed, or neither
    },
    video: { width: { ideal: 640 }, height: { ideal: 360 }, frameRate: { ideal: 30 } },
  });
}

async function offerTo(address, peer) {
  await peer.setLocalDescription(await peer.createOffer());
  await gathered(peer);
  const response = await checked(await fetch(address, {
    method: "POST",
    headers: authorized({ "Content-Type": "application/sdp" }),
    body: peer.localDescription.sdp,
  }));
  const resource = new URL(response.headers.get("Location"), location.href);
  await peer.setRemoteDescription({ type: "answer", sdp: await response.text() });
  return resource;
}

async function join() {
  const call = field("call").value;
  const name = field("name").value;
  const session = { events: new AbortController() };
  current = session;
  session.stream = await openDevices();
  if (current !== session) { end(session); return; } // left meanwhile
  field("preview").srcObject = session.stream;
  session.peer = new RTCPeerConnection({ iceServers: [] });
  for (const track of session.stream.getTracks()) {
    session.peer.addTransceiver(track, { direction: "sendonly", streams: [session.stream] });
  }
  session.peer.addEventListener("connectionstatechange", () => {
    if (current === session) show("connection", session.peer.connectionState);
  });
  session.resource = await offerTo(`/whip/${call}/${name}`, session.peer);
  if (current !== session) { end(session); return; }
  follow(call, name, session.events.signal);
}

function end(session) {
  session.events.abort();
  session.peer?.close();
  session.stream?.getTracks().forEach((track) => track.stop());
  if (session.resource) {
    fetch(session.resource, { method: "DELETE", headers: authorized(), keepalive: true })
      .catch(() => {}); // the monitor notices by itself that nothing comes any more
  }
}

function leave() {
  const session = current;
  current = null;
  if (!session) return;
  end(session);
  field("preview").srcObject = null;
  show("connection", "not joined");
  show("verdict", "none");
  show("similarity", "none");
}

// Server-sent events by fetch, because EventSource cannot carry a token.
async function follow(call, name, signal) {
  while (!signal.aborted) {
    try {
      const response = await checked(await fetch("/v1/events", { headers: authorized(), signal }));
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        const blocks = (text + part.value).split("\n\n");
        text = blocks.pop();
        for (const block of blocks) take(block, call, name);
      }
    } catch (error) {
      if (signal.aborted) return;
      show("error", error.message);
    }
    await new Promise((resolve) => setTimeout(resolve, RETRY_EVENTS_MS));
  }
}

function take(block, call, name) {
  const data = block.split("\n").find((line) => line.startsWith("data: "));
  if (!data) return;
  const event = JSON.parse(data.slice("data: ".length));
  if (event.type === "snapshot") {
    event.participants.forEach((person) => {
      if (person.call === call && person.participant === name) showVerdict(person);
    });
  } else if (event.call === call && event.participant === name) {
    if (event.type === "verdict") showVerdict(event);
    if (event.type === "score") show("similarity", event.similarity.toFixed(2));
    if (event.type === "abstention") show("similarity", `none: ${event.reason.replaceAll("_", " ")}`);
    if (event.type === "alert" && !event.drill) show("error", event.summary);
  }
}

function showVerdict({ state, reason }) {
  show("verdict", reason ? `${state}: ${reason.replaceAll("_", " ")}` : state);
}

async function start() {
  field("join").disabled = true;
  field("leave").disabled = false;
  show("error", "");
  show("connection", "joining");
  try {
    await join();
  } catch (error) {
    show("error", error.message);
    stop();
  }
}

function stop() {
  leave();
  field("join").disabled = false;
  field("leave").disabled = true;
}

async function describeWeights() {
  const { model } = await (await fetch("/healthz")).json();
  if (!model.synthetic) return;
  field("weights").hidden = false;
  show("weights", `The weights in use are trained on ${model.trained_on}: they show that the ` +
    "monitor works, and their scores say nothing about real people, you included.");
}

const query = new URLSearchParams(location.search);
for (const id of ["call", "name"]) field(id).value = query.get(id) ?? field(id).value;
for (const id of ["ec", "ns"]) field(id).checked = query.get(id) !== "0";
field("token").value = new URLSearchParams(location.hash.slice(1)).get("token") ?? "";
field("form").addEventListener("submit", (event) => { event.preventDefault(); start(); });
field("leave").addEventListener("click", stop);
window.addEventListener("pagehide", leave);
describeWeights();
if (query.get("autostart") === "1") start();
