"""An authority of the test's own, and certificates that it makes."""

import subprocess
from pathlib import Path


def _openssl(folder: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)


class Authority:
    """Makes certificates for localhost and 127.0.0.1, one after the other in the same two files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.root, self.certificate, self.key = (
            folder / "root.pem",
            folder / "service.pem",
            folder / "service.key",
        )
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        _openssl(
            folder,
            "req",
            "-x509",
            *key,
            "-keyout",
            "root.key",
            "-out",
            "root.pem",
            "-days",
            "2",
            "-subj",
            "/CN=root",
        )
        self._serial = 0

    def issue(self) -> int:
        """Writes another certificate and key; returns its serial number."""
        self._serial += 1
        (self.folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        _openssl(self.folder, "req", *key, "-keyout", "new.key", "-out", "new.csr", "-subj", "/CN=localhost")
        _openssl(
            self.folder, "x509", "-req", "-in", "new.csr", "-CA", "root.pem", "-CAkey", "root.key", "-days", "2",
            "-set_serial", f"{self._serial}", "-extfile", "names", "-out", "new.pem",
        )  # fmt: skip
        (self.folder / "new.pem").replace(self.certificate)
        (self.folder / "new.key").replace(self.key)
        return self._serial
