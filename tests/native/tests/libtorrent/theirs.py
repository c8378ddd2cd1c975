# A libtorrent peer on loopback, driven by lines of JSON: a command on stdin, an answer on stdout. It finds nobody by
# itself (no DHT, no local discovery, no port mapping) and ends with its stdin, or after two minutes.
import json
import signal
import sys
import time

import libtorrent as lt

LIFETIME_SECONDS = 120

SETTINGS = {
    "listen_interfaces": "127.0.0.1:0",
    "enable_dht": False,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "enable_incoming_utp": False,
    "enable_outgoing_utp": False,
    "in_enc_policy": int(lt.enc_policy.pe_disabled),
    "out_enc_policy": int(lt.enc_policy.pe_disabled),
    # Everybody is at 127.0.0.1.
    "allow_multiple_connections_per_ip": True,
    "unchoke_interval": 1,
    "alert_mask": lt.alert.category_t.all_categories,
}


class Peer:
    def __init__(self):
        self.session = lt.session(SETTINGS)
        # Peers at home are of a class that limits do not hold for, and here everybody is.
        everybody = lt.ip_filter()
        everybody.add_rule("0.0.0.0", "255.255.255.255", 1 << lt.session.global_peer_class_id)
        self.session.set_peer_class_filter(everybody)
        self.torrent = None
        self.partings = []
        self.errors = []

    def add(self, folder, magnet=None, path=None):
        if magnet:
            parameters = lt.parse_magnet_uri(magnet)
        else:
            parameters = lt.add_torrent_params()
            parameters.ti = lt.torrent_info(path)
        parameters.save_path = folder
        # It starts at once, and nothing stops it.
        parameters.flags &= ~(lt.torrent_flags.paused | lt.torrent_flags.auto_managed)
        self.torrent = self.session.add_torrent(parameters)
        # While it hashes what it has, it turns everybody away without a word.
        while path and not self.torrent.status().is_seeding:
            time.sleep(0.01)
        return {"port": self.session.listen_port()}

    def connect(self, port):
        self.torrent.connect_peer(("127.0.0.1", port))

    def settings(self, **changed):
        self.session.apply_settings(changed)

    def status(self):
        self.hear()
        status = self.torrent.status()
        peers = self.torrent.get_peer_info()
        return {
            "state": str(status.state),
            "done": status.is_seeding,
            "failed": status.total_failed_bytes,
            "redundant": status.total_redundant_bytes,
            "downloaded": status.total_payload_download,
            "uploaded": status.total_payload_upload,
            "peers": [peer.client.decode() if isinstance(peer.client, bytes) else peer.client for peer in peers],
            "partings": self.partings,
            "errors": self.errors,
        }

    def hear(self):
        for alert in self.session.pop_alerts():
            if isinstance(alert, lt.peer_disconnected_alert):
                self.partings.append(alert.message())
            elif isinstance(alert, (lt.peer_error_alert, lt.peer_ban_alert, lt.torrent_error_alert)):
                self.errors.append(alert.message())


def main():
    signal.alarm(LIFETIME_SECONDS)
    peer = Peer()
    for line in sys.stdin:
        command = json.loads(line)
        answer = getattr(peer, command.pop("do"))(**command)
        print(json.dumps(answer or {}), flush=True)


main()
