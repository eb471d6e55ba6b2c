// Opens the grant of grant.json with the standard library's crypto/hpke and prints what is inside.
//
//	go run open-grant.go < grant.json
package main

import (
	"crypto/hpke"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

func main() {
	var vector struct{ PrivateKey, Grant string }
	check(json.NewDecoder(os.Stdin).Decode(&vector))
	key, err := hpke.MLKEM768X25519().NewPrivateKey(decode(vector.PrivateKey))
	check(err)
	// header . encapsulated secret . (no IV) . ciphertext . (no tag)
	parts := strings.Split(vector.Grant, ".")
	recipient, err := hpke.NewRecipient(decode(parts[1]), key, hpke.SHAKE256(), hpke.AES256GCM(), nil)
	check(err)
	plaintext, err := recipient.Open([]byte(parts[0]), decode(parts[3]))
	check(err)
	fmt.Print(string(plaintext))
}

func decode(text string) []byte {
	bytes, err := base64.RawURLEncoding.DecodeString(text)
	check(err)
	return bytes
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
