import{b as e}from"./chunk-YQZWD2JW.js";import{ea as o,ga as r}from"./chunk-3RRHNBBV.js";function f(){return e.value.refused?null:o(r,{})}export{f as a};
