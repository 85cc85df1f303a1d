# SPDX-License-Identifier: Apache-2.0
"""A certificate authority of a test's own: what a TLS server on 127.0.0.1 shows, and what its clients trust."""

import subprocess
from pathlib import Path


class Certificates:
    """`authority` is the file that clients trust; `server` holds the server's key and certificate."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.authority = self.folder / "authority.pem"
        self.server = self.folder / "server.pem"
        self._make_authority()
        self._make_server()

    def _make_authority(self):
        self._openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=authority of a test",
                      "-keyout", self.folder / "authority.key", "-out", self.authority)

    def _make_server(self):
        key, request, certificate = (self.folder / f"server.{end}" for end in ("key", "csr", "crt"))
        extensions = self.folder / "server.ext"
        extensions.write_text("subjectAltName = IP:127.0.0.1\n", encoding="utf-8")
        self._openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1", "-keyout", key, "-out", request)
        self._openssl("x509", "-req", "-in", request, "-CA", self.authority, "-CAkey", self.folder / "authority.key",
                      "-CAcreateserial", "-days", "2", "-extfile", extensions, "-out", certificate)
        self.server.write_text(key.read_text(encoding="utf-8") + certificate.read_text(encoding="utf-8"), encoding="utf-8")

    def make_client(self, name, days=2, passphrase=None):
        """A client's certificate and key, signed by the authority; days 0: it is over already."""
        key, request, certificate = (self.folder / f"{name}.{end}" for end in ("key", "csr", "crt"))
        secret = ["-passout", f"pass:{passphrase}"] if passphrase else ["-nodes"]
        self._openssl("req", "-newkey", "rsa:2048", *secret, "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        self._openssl("x509", "-req", "-in", request, "-CA", self.authority, "-CAkey", self.folder / "authority.key",
                      "-CAcreateserial", "-days", str(days), "-out", certificate)
        key.chmod(0o600)
        return certificate, key

    @staticmethod
    def _openssl(*arguments):
        result = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, check=False)
        assert result.returncode == 0, f"openssl {arguments[0]}: {result.stderr}"
