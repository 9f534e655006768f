import{b as e}from"./chunk-BU2MZ2NH.js";import{ea as o,ga as r}from"./chunk-VRCQTSUX.js";function f(){return e.value.refused?null:o(r,{})}export{f as a};
