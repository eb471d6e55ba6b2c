// Verify-go checks a log of Cordon with software that Cordon did not write: golang.org/x/mod/sumdb/{note,tlog} verify
// signatures, tiles, proofs and entries; this program only fetches, and maps the paths and signatures of C2SP to theirs.
//
// It confirms the newest checkpoint, every entry under it, and, where they are given, a receipt (C2SP tlog-proof) and
// cosignatures of witnesses (C2SP tlog-cosignature, Ed25519). A receipt it confirms by itself too, without any service. ML-DSA-44 lines are not checked: Go has no public ML-DSA yet.
package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// timeForm is the one form of times, which compare as texts.
const timeForm = "2006-01-02T15:04:05.000Z"

const usage = `Usage: verify-go -receipt FILE -keys FILE [-witness KEY]... [-quorum K]
       verify-go -log URL -keys FILE [-session FILE] [-receipt FILE] [-witness KEY]... [-quorum K]

Without -log a receipt is verified by itself: no service, no session, no network.

  -log      the log: https://HOST/v1/logs/ID
  -keys     verifier keys of the service's logs, as "cordon log-keys" prints them
  -session  a session lent by "cordon lend-session FILE" (five minutes), of an auditor of the log
  -receipt  a receipt, as "cordon receipt" writes it (C2SP tlog-proof with the entry as extra data)
  -witness  verifier key of a witness (type 0x04); may be given several times
  -quorum   cosignatures by these witnesses that the checkpoint must have; then the log's final checkpoint is taken

Exit code 0 where everything is confirmed, 1 where anything is not, 2 where it was used wrongly.
`

type list []string

func (l *list) String() string     { return strings.Join(*l, " ") }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

func main() {
	var witnesses list
	log := flag.String("log", "", "")
	keys := flag.String("keys", "", "")
	session := flag.String("session", "", "")
	receipt := flag.String("receipt", "", "")
	quorum := flag.Int("quorum", 0, "")
	flag.Var(&witnesses, "witness", "")
	flag.Usage = func() { fmt.Fprint(os.Stderr, usage) }
	flag.Parse()
	offline := *log == "" && *session == "" && *receipt != ""
	if (*log == "" && !offline) || *keys == "" || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	if offline {
		if err := verifyReceipt(*receipt, *keys, witnesses, *quorum); err != nil {
			fmt.Printf("NOT verified: %v\n", err)
			os.Exit(1)
		}
		return
	}
	if err := verify(strings.TrimRight(*log, "/"), *keys, *session, *receipt, witnesses, *quorum); err != nil {
		fmt.Printf("NOT verified: %v\n", err)
		os.Exit(1)
	}
}

func verify(log, keyFile, sessionFile, receiptFile string, witnesses []string, quorum int) error {
	start := time.Now()
	server, err := open(log, sessionFile)
	if err != nil {
		return err
	}
	path := "/checkpoint"
	if quorum > 0 {
		path = "/final-checkpoint"
	}
	text, err := server.get(path)
	if err != nil {
		return err
	}
	id := log[strings.LastIndex(log, "/")+1:]
	verifier, err := logVerifier(keyFile, id)
	if err != nil {
		return err
	}
	tree, err := openCheckpoint(string(text), verifier)
	if err != nil {
		return fmt.Errorf("the checkpoint: %w", err)
	}
	fmt.Printf("Checkpoint: %d entries, root %v, signed by %s\n", tree.N, tree.Hash, verifier.Name())
	if quorum > 0 || len(witnesses) > 0 {
		if err := checkWitnesses(string(text), verifier, witnesses, quorum); err != nil {
			return err
		}
	}
	hashes := tlog.TileHashReader(tree, &tiles{server: server, kept: map[tlog.Tile][]byte{}})
	if err := checkEntries(server, tree, hashes); err != nil {
		return err
	}
	fmt.Printf("Entries: all %d are those of the checkpoint\n", tree.N)
	if receiptFile != "" {
		index, err := checkReceipt(receiptFile, verifier, tree, hashes, witnesses, quorum)
		if err != nil {
			return fmt.Errorf("the receipt: %w", err)
		}
		fmt.Printf("Receipt: entry %d is in the log\n", index)
	}
	fmt.Printf("Verified in %.1f s\n", time.Since(start).Seconds())
	return nil
}

// checkEntries fetches every bundle and compares each entry in it with the hash that the tree has in its place.
// Times never decrease in a log (docs/log.md).
func checkEntries(server *server, tree tlog.Tree, hashes tlog.HashReader) error {
	var last string
	for first := int64(0); first < tree.N; first += bundleSize {
		count := min(bundleSize, tree.N-first)
		indexes := make([]int64, count)
		for i := range indexes {
			indexes[i] = tlog.StoredHashIndex(0, first+int64(i))
		}
		wanted, err := hashes.ReadHashes(indexes)
		if err != nil {
			return fmt.Errorf("hashes of entries %d to %d: %w", first, first+count-1, err)
		}
		bundle, err := server.get("/tile/entries" + tilePath(first/bundleSize, int(count)))
		if err != nil {
			return err
		}
		for i := range wanted {
			if len(bundle) < 2 || len(bundle) < 2+int(binary.BigEndian.Uint16(bundle)) {
				return fmt.Errorf("the bundle ends before entry %d", first+int64(i))
			}
			size := int(binary.BigEndian.Uint16(bundle))
			if tlog.RecordHash(bundle[2:2+size]) != wanted[i] {
				return fmt.Errorf("entry %d is not the one that the tree has", first+int64(i))
			}
			var leaf struct {
				At string `json:"at"`
			}
			if err := json.Unmarshal(bundle[2:2+size], &leaf); err != nil || len(leaf.At) != len(timeForm) {
				return fmt.Errorf("entry %d has no time", first+int64(i))
			}
			if leaf.At < last {
				return fmt.Errorf("entry %d is dated before the one that precedes it", first+int64(i))
			}
			last = leaf.At
			bundle = bundle[2+size:]
		}
		if len(bundle) != 0 {
			return fmt.Errorf("the bundle goes on after entry %d", first+count-1)
		}
	}
	return nil
}

// verifyReceipt verifies a receipt with the keys alone, and prints who did what and when.
func verifyReceipt(file, keyFile string, witnesses []string, quorum int) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	receipt, err := parseProof(string(text))
	if err != nil {
		return fmt.Errorf("the receipt is damaged: %w", err)
	}
	if receipt.entry == nil {
		return errors.New("the receipt does not bring its entry")
	}
	origin, _, _ := strings.Cut(receipt.checkpoint, "\n")
	_, id, found := cutLast(origin, "/logs/")
	if !found {
		return errors.New("the checkpoint is of no log of Cordon")
	}
	verifier, err := logVerifier(keyFile, id)
	if err != nil {
		return err
	}
	if verifier.Name() != origin {
		return fmt.Errorf("the receipt is of %s, and the keys are those of %s", origin, verifier.Name())
	}
	tree, err := openCheckpoint(receipt.checkpoint, verifier)
	if err != nil {
		return fmt.Errorf("the checkpoint: %w", err)
	}
	if err := tlog.CheckRecord(receipt.proof, tree.N, tree.Hash, receipt.index, tlog.RecordHash(receipt.entry)); err != nil {
		return errors.New("the log of the checkpoint does not hold this entry")
	}
	var leaf struct {
		Log     string `json:"log"`
		Index   int64  `json:"index"`
		At      string `json:"at"`
		Kind    string `json:"kind"`
		Subject string `json:"subject"`
		Digest  string `json:"digest"`
		Actor   struct {
			Person       string `json:"person"`
			Organization string `json:"organization"`
			Device       string `json:"device"`
			Server       string `json:"server"`
		} `json:"actor"`
	}
	if err := json.Unmarshal(receipt.entry, &leaf); err != nil {
		return errors.New("the entry of the receipt is no JSON")
	}
	if leaf.Log != id || leaf.Index != receipt.index {
		return fmt.Errorf("the entry is number %d of the log %s, and the receipt of another place", leaf.Index, leaf.Log)
	}
	if quorum > 0 || len(witnesses) > 0 {
		if err := checkWitnesses(receipt.checkpoint, verifier, witnesses, quorum); err != nil {
			return err
		}
	}
	fmt.Printf("Verified: %q, entry %d of %s\n", leaf.Kind, leaf.Index, origin)
	if leaf.Actor.Server != "" {
		fmt.Printf("Who: the server %q\n", leaf.Actor.Server)
	} else {
		fmt.Printf("Person: %q\nOrganization: %q\nDevice: %q\n", leaf.Actor.Person, leaf.Actor.Organization, leaf.Actor.Device)
	}
	fmt.Printf("When: %q\nWhat: %q\n", leaf.At, leaf.Subject)
	if leaf.Digest != "" {
		fmt.Printf("SHA-256 of its statement: %q\n", leaf.Digest)
	}
	fmt.Printf("Checkpoint: %d entries, root %v, signed by %s (Ed25519)\n", tree.N, tree.Hash, verifier.Name())
	return nil
}

// checkReceipt verifies a tlog-proof: its checkpoint, its entry under it, and that the log has grown from it.
// Where a quorum is asked for, its own checkpoint must have it: so it proves as much to whoever cannot reach the log.
func checkReceipt(file string, verifier note.Verifier, tree tlog.Tree, hashes tlog.HashReader, witnesses []string, quorum int) (int64, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	receipt, err := parseProof(string(text))
	if err != nil {
		return 0, err
	}
	older, err := openCheckpoint(receipt.checkpoint, verifier)
	if err != nil {
		return 0, err
	}
	if quorum > 0 {
		if err := checkWitnesses(receipt.checkpoint, verifier, witnesses, quorum); err != nil {
			return 0, err
		}
	}
	if receipt.entry == nil {
		return 0, errors.New("it does not bring its entry as extra data")
	}
	leaf := tlog.RecordHash(receipt.entry)
	if err := tlog.CheckRecord(receipt.proof, older.N, older.Hash, receipt.index, leaf); err != nil {
		return 0, err
	}
	if older.N > tree.N {
		return 0, fmt.Errorf("it is of %d entries, the log has %d", older.N, tree.N)
	}
	root, err := tlog.TreeHash(older.N, hashes)
	if err != nil {
		return 0, err
	}
	if root != older.Hash {
		return 0, fmt.Errorf("the log had another root at %d entries", older.N)
	}
	return receipt.index, nil
}
