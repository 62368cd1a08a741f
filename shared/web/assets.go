package web

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"
)

// StaticPath is the path under which an AssetSet is to be mounted.
const StaticPath = "/static/"

// contentTypes is the whole list of what may be served. It stands here because the mime package also reads the
// machine's own tables, and a module served with another type than JavaScript's is refused by the browser.
var contentTypes = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
	".png": "image/png",
}

// AssetSet serves a fixed set of static files under /static/<version>/<name>, where the version is a hash of all of
// them. Because the version is a folder, what a stylesheet or a module names relatively ("./board.js") has the same
// version without being rewritten.
type AssetSet struct {
	version string
	files   map[string]asset
}

type asset struct {
	body        []byte
	contentType string
	etag        string // weak, since the same file is sent compressed or not
}

// Assets reads the shared static files and those of each fsys into one set. A name that occurs twice, and a file of a
// type that is not in the list, is an error.
func Assets(fsys ...fs.FS) (*AssetSet, error) {
	own, err := fs.Sub(shared, "static")
	if err != nil {
		return nil, fmt.Errorf("open shared static files: %w", err)
	}
	a := &AssetSet{files: map[string]asset{}}
	for _, f := range append([]fs.FS{own}, fsys...) {
		if err := a.read(f); err != nil {
			return nil, fmt.Errorf("read static files: %w", err)
		}
	}
	all := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(a.files)) {
		fmt.Fprintf(all, "%s %s\n", name, a.files[name].etag)
	}
	a.version = shortHex(all.Sum(nil))
	return a, nil
}

func (a *AssetSet) read(fsys fs.FS) error {
	return fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		contentType, ok := contentTypes[path.Ext(name)]
		if !ok {
			return fmt.Errorf("%s: no content type for this extension", name)
		}
		if _, twice := a.files[name]; twice {
			return fmt.Errorf("%s: the name occurs twice", name)
		}
		body, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(body)
		a.files[name] = asset{body: body, contentType: contentType, etag: `W/"` + shortHex(sum[:]) + `"`}
		return nil
	})
}

// URL gives the path of a file, with the version in it. A name that the set doesn't have gives a path that is not found;
// the tests of the pages follow every path they name.
func (a *AssetSet) URL(name string) string { return StaticPath + a.version + "/" + name }

// ServeHTTP answers with the file. Under the set's own version it may be kept for ever; under any other version, which a
// page of a neighbouring release asks for during an upgrade, it is served all the same but has to be revalidated.
func (a *AssetSet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	version, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, StaticPath), "/")
	cacheControl := "no-cache"
	if version == a.version {
		cacheControl = "public, max-age=31536000, immutable"
	}
	a.serve(w, r, name, cacheControl)
}

// Icon answers with the site's icon, for browsers that ask for /favicon.ico without being told to.
func (a *AssetSet) Icon(w http.ResponseWriter, r *http.Request) {
	a.serve(w, r, "icon.svg", "public, max-age=86400")
}

func (a *AssetSet) serve(w http.ResponseWriter, r *http.Request, name, cacheControl string) {
	file, ok := a.files[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", file.contentType)
	w.Header().Set("Cache-Control", cacheControl)
	w.Header().Set("ETag", file.etag)
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(file.body))
}

func shortHex(sum []byte) string { return hex.EncodeToString(sum[:8]) }
