"""An HTTP hook for keyboard-interactive logins. Prints its port, then every request."""
import http.server
import json


class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        print(json.dumps({"header": self.headers["X-Hook"], "body": body}), flush=True)
        if body["step"] == 1:
            return self.reply({"questions": ["Password: "], "echos": [False], "check_password": 1})
        if body["step"] == 2:
            return self.reply({"instruction": "One more", "questions": ["Colour: "], "echos": [True]})
        answer = body["answers"][0]
        if answer == "blue":
            return self.reply({"auth_result": 1})
        if answer == "empty":
            return self.reply({})
        if answer == "error":
            return self.reply({"auth_result": 1}, status=500)
        if answer == "moved":
            return self.reply({"auth_result": 1}, status=302)
        if answer == "huge":
            return self.reply({"auth_result": 1, "instruction": "x" * (1 << 21)})
        self.reply({"auth_result": -1})

    def reply(self, message, status=200):
        text = json.dumps(message).encode()
        self.send_response(status)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        try:
            self.wfile.write(text)
        except OSError:
            pass  # more than the other side wants to read

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
print(server.server_port, flush=True)
server.serve_forever()
