package cluster

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
)

// key is an install code: 26 characters of base 32, with 130 bits of chance, more than anybody can guess over a network.
type key string

func newKey() key { return key(rand.Text()) }

// hash is what is kept of a code.
func (k key) hash() []byte {
	h := sha256.Sum256([]byte(k))
	return h[:]
}

// box encrypts under a key that follows from the code and cannot be found from its hash.
func (k key) box() (cipher.AEAD, error) {
	secret, err := hkdf.Key(sha256.New, []byte(k), nil, "tally install code: secret of the token", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

func (k key) seal(secret string) ([]byte, error) {
	box, err := k.box()
	if err != nil {
		return nil, fmt.Errorf("cannot encrypt a token: %w", err)
	}
	return box.Seal(nil, nil, []byte(secret), nil), nil
}

func (k key) unseal(sealed []byte) (string, error) {
	box, err := k.box()
	if err != nil {
		return "", fmt.Errorf("cannot decrypt a token: %w", err)
	}
	secret, err := box.Open(nil, nil, sealed, nil)
	if err != nil {
		return "", fmt.Errorf("cannot decrypt a token: %w", err)
	}
	return string(secret), nil
}
