package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

// cost is what one hash takes: passes over memory of the given KiB, in so many lanes.
type cost struct {
	memory uint32
	passes uint32
	lanes  uint8
}

// secondChoice is the second recommended option of RFC 9106, section 4: 64 MiB, 3 passes, 4 lanes.
var secondChoice = cost{memory: 64 << 10, passes: 3, lanes: 4}

// Bounds of what is read back from the file, so that a damaged or planted hash cannot take the machine.
const (
	maxMemory = 64 << 10
	maxPasses = 16
	maxLanes  = 16
	saltLen   = 16
	keyLen    = 32
	minSecret = 8  // bytes of a salt or key
	maxSecret = 64 // bytes of a salt or key
)

// hashers is the number of hashes computed at once, which bounds their memory to 128 MiB.
const hashers = 2

// phc is a hashed password in the PHC string format,
// $argon2id$v=19$m=<KiB>,t=<passes>,p=<lanes>$<salt>$<key>, salt and key in base64 without padding.
type phc struct {
	cost
	salt, key []byte
}

func (h phc) String() string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.memory, h.passes, h.lanes,
		b64.EncodeToString(h.salt), b64.EncodeToString(h.key))
}

var errPHC = errors.New("not an argon2id hash in PHC string format within the bounds of this program")

// parsePHC reads what String writes and nothing else: no other order, sign, leading zero, version or variant. Its error
// says nothing about the text, which is half a secret.
func parsePHC(s string) (phc, error) {
	part := strings.Split(s, "$")
	if len(part) != 6 || part[0] != "" || part[1] != "argon2id" || part[2] != "v="+strconv.Itoa(argon2.Version) {
		return phc{}, errPHC
	}
	param := strings.Split(part[3], ",")
	if len(param) != 3 {
		return phc{}, errPHC
	}
	var n [3]uint64
	for i, name := range []string{"m=", "t=", "p="} {
		text, ok := strings.CutPrefix(param[i], name)
		v, err := strconv.ParseUint(text, 10, 32)
		if !ok || err != nil || strconv.FormatUint(v, 10) != text {
			return phc{}, errPHC
		}
		n[i] = v
	}
	if n[1] < 1 || n[1] > maxPasses || n[2] < 1 || n[2] > maxLanes || n[0] < 8*n[2] || n[0] > maxMemory {
		return phc{}, errPHC
	}
	h := phc{cost: cost{memory: uint32(n[0]), passes: uint32(n[1]), lanes: uint8(n[2])}}
	for i, to := range []*[]byte{&h.salt, &h.key} {
		b, err := base64.RawStdEncoding.Strict().DecodeString(part[4+i])
		if err != nil || len(b) < minSecret || len(b) > maxSecret || strings.ContainsAny(part[4+i], "\r\n") {
			return phc{}, errPHC
		}
		*to = b
	}
	return h, nil
}

// hasher computes password hashes, a few at a time.
type hasher struct {
	cost  cost
	slots chan struct{}
	dummy phc // no password has it; see matches
}

func newHasher(c cost) *hasher {
	return &hasher{cost: c, slots: make(chan struct{}, hashers), dummy: phc{cost: c, salt: random(saltLen), key: random(keyLen)}}
}

// random returns n bytes of the system's generator, which never fails: the runtime ends the program first.
func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

func (h *hasher) derive(ctx context.Context, password string, c cost, salt []byte, n int) ([]byte, error) {
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
		return argon2.IDKey([]byte(password), salt, c.passes, c.memory, c.lanes, uint32(n)), nil
	case <-ctx.Done():
		return nil, fmt.Errorf("cannot hash a password: %w", ctx.Err())
	}
}

// hash returns the PHC string of a password under a new salt.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	salt := random(saltLen)
	key, err := h.derive(ctx, password, h.cost, salt, keyLen)
	if err != nil {
		return "", err
	}
	return phc{cost: h.cost, salt: salt, key: key}.String(), nil
}

// matches tells whether password has the given hash. It takes as long for no hash at all (stored is empty: there is no such
// user) as for one that differs, so that the time does not tell which names exist.
func (h *hasher) matches(ctx context.Context, password, stored string) (bool, error) {
	want := h.dummy
	if stored != "" {
		var err error
		if want, err = parsePHC(stored); err != nil {
			return false, fmt.Errorf("cannot read the hash of a password: %w", err)
		}
	}
	key, err := h.derive(ctx, password, want.cost, want.salt, len(want.key))
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare(key, want.key) == 1 && stored != "", nil
}
