package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// bundleSize is the number of entries in a full bundle, and of hashes in a full tile.
const bundleSize = 256

const mostBytes = 32 << 20

// server fetches what lies below one log, with a proof of possession for each request (DPoP, RFC 9449) where a session is lent.
type server struct {
	log    string
	token  string
	key    ed25519.PrivateKey
	client *http.Client
}

type session struct {
	AccessToken string `json:"accessToken"`
	Key         struct {
		X string `json:"x"`
		D string `json:"d"`
	} `json:"key"`
}

func open(log, sessionFile string) (*server, error) {
	opened := &server{log: log, client: &http.Client{Timeout: time.Minute}}
	if sessionFile == "" {
		return opened, nil
	}
	text, err := os.ReadFile(sessionFile)
	if err != nil {
		return nil, err
	}
	var lent session
	if err := json.Unmarshal(text, &lent); err != nil {
		return nil, fmt.Errorf("%s: %w", sessionFile, err)
	}
	seed, err := base64.RawURLEncoding.DecodeString(lent.Key.D)
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("%s holds no session key", sessionFile)
	}
	opened.token, opened.key = lent.AccessToken, ed25519.NewKeyFromSeed(seed)
	return opened, nil
}

func (s *server) get(path string) ([]byte, error) {
	url := s.log + path
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	if s.key != nil {
		request.Header.Set("Authorization", "DPoP "+s.token)
		request.Header.Set("DPoP", s.prove(url))
	}
	answer, err := s.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, mostBytes))
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s answered %s: %s", path, answer.Status, bytes.TrimSpace(body))
	}
	return body, nil
}

func (s *server) prove(url string) string {
	encode := base64.RawURLEncoding.EncodeToString
	jti := make([]byte, 16)
	rand.Read(jti)
	ath := sha256.Sum256([]byte(s.token))
	public := s.key.Public().(ed25519.PublicKey)
	header := fmt.Sprintf(`{"alg":"Ed25519","typ":"dpop+jwt","jwk":{"kty":"OKP","crv":"Ed25519","x":"%s"}}`, encode(public))
	claims, _ := json.Marshal(map[string]any{
		"htm": http.MethodGet, "htu": url, "jti": encode(jti), "ath": encode(ath[:]), "iat": time.Now().Unix(),
	})
	signed := encode([]byte(header)) + "." + encode(claims)
	return signed + "." + encode(ed25519.Sign(s.key, []byte(signed)))
}

// tiles reads hash tiles for tlog, which authenticates each against the tree. Verified tiles are kept.
type tiles struct {
	server *server
	kept   map[tlog.Tile][]byte
}

func (t *tiles) Height() int { return 8 }

func (t *tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	read := make([][]byte, len(wanted))
	for i, tile := range wanted {
		if kept, found := t.kept[tile]; found {
			read[i] = kept
			continue
		}
		data, err := t.server.get(fmt.Sprintf("/tile/%d", tile.L) + tilePath(tile.N, tile.W))
		if err != nil {
			return nil, err
		}
		if len(data) != tile.W*tlog.HashSize {
			return nil, fmt.Errorf("%v has %d bytes", tile, len(data))
		}
		read[i] = data
	}
	return read, nil
}

// SaveTiles keeps what is above the leaves: those tiles are asked for again with every bundle.
func (t *tiles) SaveTiles(verified []tlog.Tile, data [][]byte) {
	for i, tile := range verified {
		if tile.L > 0 {
			t.kept[tile] = data[i]
		}
	}
}

// tilePath is the path of C2SP tlog-tiles below the level: groups of three digits, `x` before all but the last.
func tilePath(index int64, width int) string {
	digits := fmt.Sprint(index)
	digits = strings.Repeat("0", (3-len(digits)%3)%3) + digits
	var path strings.Builder
	for i := 0; i < len(digits); i += 3 {
		path.WriteByte('/')
		if i+3 < len(digits) {
			path.WriteByte('x')
		}
		path.WriteString(digits[i : i+3])
	}
	if width < bundleSize {
		fmt.Fprintf(&path, ".p/%d", width)
	}
	return path.String()
}
