package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Signature types of C2SP signed-note.
const (
	typeEd25519     = 0x01
	typeCosignature = 0x04
)

// logVerifier reads the verifier keys of any log of the service and makes the Ed25519 one that of the log with this id:
// all logs of a service have the same raw key under their own names.
func logVerifier(file, id string) (note.Verifier, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	for _, line := range strings.Fields(string(text)) {
		name, kind, raw, err := parseKey(line)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if kind != typeEd25519 {
			continue
		}
		host, _, found := cutLast(name, "/logs/")
		if !found {
			return nil, fmt.Errorf("%s: the name %s is not HOST/logs/ID", file, name)
		}
		return note.NewVerifier(formatKey(host+"/logs/"+id, kind, raw))
	}
	return nil, fmt.Errorf("%s holds no Ed25519 key", file)
}

func cutLast(s, sep string) (before, after string, found bool) {
	at := strings.LastIndex(s, sep)
	if at < 0 {
		return s, "", false
	}
	return s[:at], s[at+len(sep):], true
}

// parseKey splits a verifier key `<name>+<id>+<base64 of type and key>` and checks its id.
func parseKey(line string) (name string, kind byte, raw []byte, err error) {
	name, rest, _ := strings.Cut(line, "+")
	_, data, _ := strings.Cut(rest, "+")
	bytes, err := base64.StdEncoding.DecodeString(data)
	if err != nil || len(bytes) < 2 {
		return "", 0, nil, errors.New("not a verifier key")
	}
	if formatKey(name, bytes[0], bytes[1:]) != line {
		return "", 0, nil, errors.New("a verifier key has another id than its own")
	}
	return name, bytes[0], bytes[1:], nil
}

func formatKey(name string, kind byte, raw []byte) string {
	typed := append([]byte{kind}, raw...)
	return fmt.Sprintf("%s+%08x+%s", name, keyHash(name, typed), base64.StdEncoding.EncodeToString(typed))
}

func keyHash(name string, typed []byte) uint32 {
	sum := sha256.Sum256(append([]byte(name+"\n"), typed...))
	return binary.BigEndian.Uint32(sum[:])
}

// openCheckpoint opens the note (C2SP tlog-checkpoint) and reads its three lines.
func openCheckpoint(text string, verifier note.Verifier) (tlog.Tree, error) {
	opened, err := note.Open([]byte(text), note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() {
		return tlog.Tree{}, fmt.Errorf("not a checkpoint of %s", verifier.Name())
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 {
		return tlog.Tree{}, fmt.Errorf("%q is no size", lines[1])
	}
	root, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: root}, err
}

// cosigner verifies timestamped Ed25519 cosignatures (C2SP tlog-cosignature, cosignature/v1).
type cosigner struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

func (c *cosigner) Name() string    { return c.name }
func (c *cosigner) KeyHash() uint32 { return c.hash }

func (c *cosigner) Verify(msg, sig []byte) bool {
	if len(sig) != 8+ed25519.SignatureSize {
		return false
	}
	header := fmt.Sprintf("cosignature/v1\ntime %d\n", binary.BigEndian.Uint64(sig))
	return ed25519.Verify(c.key, append([]byte(header), msg...), sig[8:])
}

// checkWitnesses demands so many cosignatures by different witnesses.
func checkWitnesses(text string, log note.Verifier, keys []string, quorum int) error {
	known := []note.Verifier{log}
	for _, line := range keys {
		name, kind, raw, err := parseKey(line)
		if err != nil || kind != typeCosignature || len(raw) != ed25519.PublicKeySize {
			return fmt.Errorf("%s is no key of a witness for Ed25519 cosignatures", line)
		}
		known = append(known, &cosigner{name, keyHash(name, append([]byte{kind}, raw...)), raw})
	}
	opened, err := note.Open([]byte(text), note.VerifierList(known...))
	if err != nil {
		return err
	}
	by := map[string]bool{}
	for _, signature := range opened.Sigs {
		if signature.Name != log.Name() {
			by[signature.Name] = true
		}
	}
	if len(by) < quorum {
		return fmt.Errorf("the checkpoint has cosignatures of %d witnesses, %d are demanded", len(by), quorum)
	}
	fmt.Printf("Witnesses: %d of %d cosigned\n", len(by), len(keys))
	return nil
}

type proof struct {
	index      int64
	entry      []byte
	proof      tlog.RecordProof
	checkpoint string
}

// parseProof reads a proof as C2SP tlog-proof writes it.
func parseProof(text string) (*proof, error) {
	head, checkpoint, found := strings.Cut(text, "\n\n")
	lines := strings.Split(head, "\n")
	if !found || lines[0] != "c2sp.org/tlog-proof@v1" {
		return nil, errors.New("not a tlog-proof")
	}
	read := &proof{checkpoint: checkpoint}
	lines = lines[1:]
	if len(lines) > 0 && strings.HasPrefix(lines[0], "extra ") {
		entry, err := base64.StdEncoding.DecodeString(lines[0][len("extra "):])
		if err != nil {
			return nil, err
		}
		read.entry, lines = entry, lines[1:]
	}
	if len(lines) == 0 || !strings.HasPrefix(lines[0], "index ") {
		return nil, errors.New("it names no index")
	}
	index, err := strconv.ParseInt(lines[0][len("index "):], 10, 64)
	if err != nil {
		return nil, err
	}
	read.index = index
	for _, line := range lines[1:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return nil, err
		}
		read.proof = append(read.proof, hash)
	}
	return read, nil
}
