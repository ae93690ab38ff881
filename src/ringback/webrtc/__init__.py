"""What a browser's media needs beside RTP, sans-IO: ICE-lite and DTLS-SRTP (RFC 8445, RFC 5764)."""
